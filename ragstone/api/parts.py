"""What the routers share: the application behind them."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from ragstone.wiring import Application


def _application(request: Request) -> Application:
    application: Application = request.app.state.application
    return application


Parts = Annotated[Application, Depends(_application)]
