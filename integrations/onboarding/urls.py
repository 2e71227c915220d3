"""Addresses of set-up, test plates and the links that need no account."""

from django.urls import path

from integrations.onboarding import (
    check_plate_views,
    correction_views,
    operator_id_views,
    public_views,
    setups_views,
    status_link_views,
    test_plate_views,
    views,
)

# Below `/c/<company>/`.
company_urls = [
    path("setup/", views.setup, name="setup"),
    path("setup/another/", views.another, name="setup_another"),
    path("setup/request/", operator_id_views.request_id, name="setup_begin_request"),
    path("setup/operator-id/", operator_id_views.enter_operator_id, name="setup_begin_operator_id"),
    path("setup/<int:pk>/", views.setup_connection, name="setup_connection"),
    path("setup/<int:pk>/request/", operator_id_views.request_id, name="setup_request"),
    path("setup/<int:pk>/contact/", operator_id_views.enter_contact, name="setup_contact"),
    path("setup/<int:pk>/operator-id/", operator_id_views.enter_operator_id, name="setup_operator_id"),
    path(
        "setup/<int:pk>/confirm-operator/", operator_id_views.confirm_operator, name="setup_confirm_operator"
    ),
    path(
        "setup/<int:pk>/change-operator-id/",
        correction_views.change_operator_id,
        name="setup_change_operator_id",
    ),
    path("setup/<int:pk>/end/", correction_views.end, name="setup_end"),
    path("setup/<int:pk>/anew/", correction_views.start_anew, name="setup_anew"),
    path("setup/<int:pk>/withdraw/", correction_views.withdraw, name="setup_withdraw"),
    path("setup/<int:pk>/recheck/", operator_id_views.recheck, name="setup_recheck"),
    path("setup/<int:pk>/name/", views.rename, name="setup_rename"),
    path("setup/<int:pk>/set-up/", views.set_up, name="setup_set_up"),
    path("setup/<int:pk>/test/", views.start_test, name="setup_test"),
    path("setup/<int:pk>/live/", views.go_live, name="setup_live"),
    path("setup/<int:pk>/pause/", views.pause, name="setup_pause"),
    path("setup/<int:pk>/resume/", views.resume, name="setup_resume"),
    path("setup/<int:pk>/check-plates/", check_plate_views.check_plates, name="setup_check_plates"),
    path("setup/<int:pk>/status-link/", status_link_views.make, name="status_link_make"),
    path("setup/<int:pk>/status-link/<int:link>/renew/", status_link_views.renew, name="status_link_renew"),
    path(
        "setup/<int:pk>/status-link/<int:link>/revoke/",
        status_link_views.revoke,
        name="status_link_revoke",
    ),
    path("setup/tests/<int:pk>/", test_plate_views.test_plate, name="test_plate"),
    path("setup/tests/<int:pk>/answer/", test_plate_views.answer, name="test_plate_answer"),
    path("setup/tests/<int:pk>/ask/", test_plate_views.ask, name="test_plate_ask"),
    path("setup/tests/<int:pk>/withdraw/", test_plate_views.withdraw, name="test_plate_withdraw"),
]

# At the root of the site.
site_urls = [
    path("t/<str:token>/", public_views.test_answer, name="test_answer"),
    path("s/<str:token>/", public_views.status_page, name="status_page"),
    path("setups/", setups_views.setups, name="setups"),
]
