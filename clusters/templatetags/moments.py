"""Moments and spans as people say them, known to every template.

A moment has its exact time on hover; static/js/times.js keeps relative ones current.
"""

from datetime import datetime, timedelta

from django import template
from django.utils import timezone
from django.utils.html import format_html

register = template.Library()

_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def ago(moment: datetime) -> str:
    """ "5 min ago", "in 20 s"; static/js/times.js says the same and keeps it current."""
    seconds = round((timezone.now() - moment).total_seconds())
    if abs(seconds) < 1:
        return "now"
    size, unit = next((size, unit) for size, unit in _UNITS if abs(seconds) >= size)
    text = f"{abs(seconds) // size} {unit}"
    return f"{text} ago" if seconds > 0 else f"in {text}"


@register.filter
def when(moment: datetime | str | None) -> str:
    """A moment, relative, with the exact time on hover. Takes ISO text too, as steps hold it."""
    if not moment:
        return "—"
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment)
    local = timezone.localtime(moment)
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        moment.isoformat(timespec="seconds"),
        local.strftime("%A %d %B %Y, %H:%M:%S %Z"),
        ago(moment),
    )


@register.filter
def since(moment: datetime) -> str:
    """A moment after which something has been so: "for 5 min", kept current in the browser."""
    local = timezone.localtime(moment)
    return format_html(
        '<time datetime="{}" title="since {}" data-for>{}</time>',
        moment.isoformat(timespec="seconds"),
        local.strftime("%A %d %B %Y, %H:%M:%S %Z"),
        ago(moment).removesuffix(" ago"),
    )


@register.filter
def ahead(moment: datetime | None) -> bool:
    """Whether a moment is still to come: an estimate that has passed tells nothing."""
    return moment is not None and moment > timezone.now() + timedelta(seconds=1)


@register.filter
def exactly(moment: datetime | None) -> str:
    """A moment in full: for the audit trail."""
    return timezone.localtime(moment).strftime("%Y-%m-%d %H:%M:%S") if moment else "—"


@register.filter
def clock(moment: datetime) -> str:
    """A moment by the clock: today "14:03", else with its day."""
    local = timezone.localtime(moment)
    today = local.date() == timezone.localtime().date()
    return local.strftime("%H:%M" if today else "%d %b %H:%M")


@register.filter
def by_clock(moment: datetime) -> str:
    """A moment by the clock to the second, with its day if that is not today."""
    local = timezone.localtime(moment)
    today = local.date() == timezone.localtime().date()
    return local.strftime("%H:%M:%S" if today else "%a %d %b %H:%M:%S")


@register.filter
def lasted(seconds: float | None) -> str:
    """Seconds as people say them: "42 s", "3 min 5 s"."""
    if seconds is None:
        return "—"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


@register.filter
def lasted_until(moment: datetime, until: datetime) -> str:
    return f"for {lasted((until - moment).total_seconds())}"
