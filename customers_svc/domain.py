"""Who a customer is, and how a customer may change. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID


@dataclass(frozen=True)
class Profile:
    """What a customer says about themselves. `addresses` are postal addresses in the customer's order."""

    email: str
    name: str
    phone: str | None = None
    addresses: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class Suspension:
    """Why and since when a customer may not order."""

    reason: str
    since: datetime


@dataclass
class Customer:
    """A customer; `version` counts every change, so that others can tell the newer of two facts."""

    id: UUID
    profile: Profile
    created_at: datetime
    updated_at: datetime
    suspension: Suspension | None = None
    version: int = 1
    changed: bool = field(default=False, compare=False)

    @property
    def suspended(self) -> bool:
        """Whether the customer may not order."""
        return self.suspension is not None

    def change(self, profile: Profile, now: datetime) -> bool:
        """Take a new profile; return False if it is the one we have."""
        if profile == self.profile:
            return False
        self.profile = profile
        return self._touch(now)

    def suspend(self, reason: str, now: datetime) -> bool:
        """Forbid ordering; return False, and keep the first reason, if it is forbidden already."""
        if self.suspension is not None:
            return False
        self.suspension = Suspension(reason, now)
        return self._touch(now)

    def reinstate(self, now: datetime) -> bool:
        """Allow ordering again; return False if it is allowed already."""
        if self.suspension is None:
            return False
        self.suspension = None
        return self._touch(now)

    def _touch(self, now: datetime) -> bool:
        self.updated_at = now
        self.version += 1
        self.changed = True
        return True


def changed_profile(profile: Profile, members: Mapping[str, Any]) -> Profile:
    """Return the profile with some members replaced."""
    return replace(profile, **members)
