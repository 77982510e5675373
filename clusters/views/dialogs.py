"""A dialog is one template: htmx puts it into the page's dialog, else it is a page of its own."""

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render


def dialog(
    request: HttpRequest, template: str, context: dict[str, Any], status: int = 200
) -> HttpResponse:
    """`template` is a fragment with the root element `#dialog-body`."""
    if request.headers.get("HX-Request"):
        return render(request, template, context, status=status)
    page = {**context, "dialog_template": template}
    return render(request, "clusters/dialog_page.html", page, status=status)


def close(request: HttpRequest, message: str, address: str, link: str = "") -> HttpResponse:
    """Close the dialog with a notice; a plain request goes to `address`."""
    if not request.headers.get("HX-Request"):
        return HttpResponseRedirect(address)
    context = {"message": message, "address": address, "link": link}
    response = render(request, "clusters/_done.html", context)
    response["HX-Retarget"], response["HX-Reswap"] = "#notices", "beforeend"
    response["HX-Trigger"] = "pilothouse:done"
    return response


def sent(request: HttpRequest, name: str, most: int) -> str:
    """A field that no form judges: cut, and without what PostgreSQL cannot keep."""
    return request.POST.get(name, "").replace("\0", "").strip()[:most]


def go_to(request: HttpRequest, address: str) -> HttpResponse:
    """Leave for another page, also from within a dialog."""
    if not request.headers.get("HX-Request"):
        return HttpResponseRedirect(address)
    return HttpResponse(status=204, headers={"HX-Redirect": address})
