"""For load balancers and supervisors: is the process alive, and can it serve?"""

from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse

from access.declared import PUBLIC, needs


@needs(PUBLIC)
def healthz(request: HttpRequest) -> HttpResponse:
    """200 as long as the process answers at all."""
    return HttpResponse("ok\n", content_type="text/plain")


@needs(PUBLIC)
def readyz(request: HttpRequest) -> JsonResponse:
    """200 when pages can be served: the database answers and its tables are there. Else 503."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT last FROM live_counter LIMIT 1")
    except DatabaseError as error:
        reason = type(error).__name__
        return JsonResponse({"ready": False, "database": f"does not answer ({reason})"}, status=503)
    return JsonResponse({"ready": True, "database": "ok"})
