"""Django: serve it by ``mtls-server --dir certs wsgi django_app:application``.

By ASGI it is ``asgi django_app:asgi``.
"""

from typing import cast

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.exceptions import PermissionDenied
from django.core.handlers.asgi import ASGIRequest
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path

from mtls_server.identity import Identity

settings.configure(ALLOWED_HOSTS=["orders"], ROOT_URLCONF=__name__, SECRET_KEY="for tests only")


def caller(request: HttpRequest) -> Identity:
    if isinstance(request, ASGIRequest):
        return cast("Identity", request.scope["state"]["mtls"])
    return cast("Identity", request.META["mtls.identity"])


def who(request: HttpRequest) -> JsonResponse:
    identity = caller(request)
    return JsonResponse({"client": identity.client, "roles": identity.roles, "subject": identity.subject.dn})


def hello_admin(request: HttpRequest) -> JsonResponse:
    identity = caller(request)
    if "admin" not in identity.roles:
        raise PermissionDenied
    return JsonResponse({"admin": identity.client})


def upload(request: HttpRequest) -> JsonResponse:
    size = 0
    while piece := request.read(65536):
        size += len(piece)
    return JsonResponse({"bytes": size})


urlpatterns = [path("", who), path("admin", hello_admin), path("upload", upload)]
application = get_wsgi_application()
asgi = get_asgi_application()
