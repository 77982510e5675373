"""Lists of the API, a page at a time."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from django.db.models import Model, QuerySet
from ninja import Schema
from pydantic import Field

LARGEST_PAGE = 200
Item = TypeVar("Item")
Row = TypeVar("Row", bound=Model)


class Paging(Schema):
    page: int = Field(1, ge=1, le=1_000_000, description="The page, counted from 1.")
    page_size: int = Field(
        50, ge=1, le=LARGEST_PAGE, description=f"Items on a page, at most {LARGEST_PAGE}."
    )


class Page(Schema, Generic[Item]):
    """One page of a list. A page after the last has no items."""

    items: list[Item]
    total: int = Field(description="Items on all pages together.")
    page: int
    pages: int = Field(description="How many pages there are; 1 when the list is empty.")


def page_of(
    rows: QuerySet[Row], paging: Paging, shown: Callable[[Row], dict[str, Any]]
) -> dict[str, Any]:
    """One page of the rows, which must be in a definite order, each as `shown` shows it."""
    total = rows.count()
    start = (paging.page - 1) * paging.page_size
    return {
        "items": [shown(row) for row in rows[start : start + paging.page_size]],
        "total": total,
        "page": paging.page,
        "pages": page_count(total, paging.page_size),
    }


def page_count(total: int, size: int) -> int:
    return max(1, -(-total // size))
