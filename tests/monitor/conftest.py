"""What tests of metrics and alerts share."""

from __future__ import annotations

import pytest

from kit.certificates import TestAuthority


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> TestAuthority:
    return TestAuthority(tmp_path_factory.mktemp("authority"))
