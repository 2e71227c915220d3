"""Addresses of a company's way to live: set-up, test plates, doctor."""

from django.urls import path

from integrations.views import doctor, notices, onboarding, status_links, test_plates

urlpatterns = [
    path("setup/", onboarding.setup, name="setup"),
    path("setup/another/", onboarding.another, name="setup_another"),
    path("setup/request/", onboarding.request_id, name="setup_begin_request"),
    path("setup/operator-id/", onboarding.enter_operator_id, name="setup_begin_operator_id"),
    path("setup/<int:pk>/", onboarding.setup_connection, name="setup_connection"),
    path("setup/<int:pk>/request/", onboarding.request_id, name="setup_request"),
    path("setup/<int:pk>/contact/", onboarding.enter_contact, name="setup_contact"),
    path("setup/<int:pk>/operator-id/", onboarding.enter_operator_id, name="setup_operator_id"),
    path("setup/<int:pk>/confirm-operator/", onboarding.confirm_operator, name="setup_confirm_operator"),
    path("setup/<int:pk>/recheck/", onboarding.recheck, name="setup_recheck"),
    path("setup/<int:pk>/set-up/", onboarding.set_up, name="setup_set_up"),
    path("setup/<int:pk>/test/", onboarding.start_test, name="setup_test"),
    path("setup/<int:pk>/live/", onboarding.go_live, name="setup_live"),
    path("setup/<int:pk>/pause/", onboarding.pause, name="setup_pause"),
    path("setup/<int:pk>/resume/", onboarding.resume, name="setup_resume"),
    path("setup/<int:pk>/status-link/", status_links.make, name="status_link_make"),
    path("setup/<int:pk>/status-link/<int:link>/renew/", status_links.renew, name="status_link_renew"),
    path(
        "setup/<int:pk>/status-link/<int:link>/revoke/",
        status_links.revoke,
        name="status_link_revoke",
    ),
    path("setup/tests/<int:pk>/", test_plates.test_plate, name="test_plate"),
    path("setup/tests/<int:pk>/answer/", test_plates.answer, name="test_plate_answer"),
    path("setup/tests/<int:pk>/ask/", test_plates.ask, name="test_plate_ask"),
    path("setup/tests/<int:pk>/withdraw/", test_plates.withdraw, name="test_plate_withdraw"),
    path("setup/doctor/", doctor.doctor, name="doctor"),
    path("notices/<int:pk>/dismiss/", notices.dismiss, name="notice_dismiss"),
]
