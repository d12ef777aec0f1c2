"""The one dependency through which a route under /api/v1 is entered."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.http.problems import Problem
from api.operators import Identity, Permission, identify

if TYPE_CHECKING:
    from api.house import House
    from api.store.uow import Uow

BEARER = HTTPBearer(
    auto_error=False,
    description="A token of POST /api/v1/login, POST /api/v1/tokens or `religa token create`",
)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, for which the unit of work and the audit log speak."""

    house: "House"
    identity: Identity
    correlation_id: str

    def may(self, permission: Permission) -> bool:
        return self.identity.may(permission)

    def uow(self) -> "Uow":
        return self.house.uow(self.identity.name, self.correlation_id)


class Require:
    """Lets a caller in whose role has `permission`; 401 and 403 otherwise."""

    def __init__(self, permission: Permission) -> None:
        self.permission = permission

    async def __call__(
        self,
        request: Request,
        credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(BEARER)],
    ) -> Caller:
        house: House = request.app.state.house
        identity = await identify(house, credentials.credentials) if credentials else None
        if identity is None:
            raise Problem(
                401,
                "unauthorized",
                "Who are you?",
                "Send `Authorization: Bearer <token>` with a token that was not revoked and has"
                " not expired; POST /api/v1/login gives one",
                headers={"WWW-Authenticate": "Bearer"},
            )
        if not identity.may(self.permission):
            raise Problem(
                403,
                "forbidden",
                "Not with this role",
                f"The role {identity.role} lacks {self.permission}; ask an admin",
            )
        return Caller(house, identity, request.scope["correlation_id"])


def require(permission: Permission) -> Require:
    return Require(permission)
