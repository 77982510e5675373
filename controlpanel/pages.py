"""Addresses of the pages that span the apps."""

from django.urls import path

from controlpanel import views

urlpatterns = [
    path("", views.overview, name="overview"),
    path("wall/", views.wall, name="wall"),
    path("palette/", views.palette, name="palette"),
]
