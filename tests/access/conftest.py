import pytest
from django_otp.plugins.otp_totp import models as otp

from tests.access.second_factors import App


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> App:
    app = App()
    monkeypatch.setattr(otp, "time", app)
    return app
