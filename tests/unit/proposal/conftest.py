from __future__ import annotations

from unit.models.conftest import web as web
