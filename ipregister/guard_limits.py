"""Where a plausible delivery becomes one that must wait: the limits, and their defaults.

The one place of the defaults; an office's profile may set others for one right
(``rights.<right>.guards``). What is done with them is ``guards``.
"""

from pydantic import BaseModel, ConfigDict, Field


class GuardLimits(BaseModel):
    """Limits of one office and right; shares are of records, 0 to 1."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    vanish_share: float = Field(default=0.02, ge=0, le=1, alias="vanishShare")
    """May vanish in one delivery unasked. Source: practice of WIPO's collections; ALL.XDL.001."""

    vanish_floor: int = Field(default=10, ge=0, alias="vanishFloor")
    """So few may always vanish, or medium collections would be held for every withdrawal."""

    small_collection: int = Field(default=50, ge=0, alias="smallCollection")
    """Below so many records shares say nothing: only a delivery that removes all is held."""

    rolling_share: float = Field(default=0.05, ge=0, le=1, alias="rollingShare")
    """May vanish unasked within ``rolling_days``: more than two deliveries at the single limit."""

    rolling_days: int = Field(default=7, ge=1, alias="rollingDays")
    """How far back vanished records are added up."""

    fill_drop: float = Field(default=0.20, gt=0, le=1, alias="fillDrop")
    """A field may lose so much of its fill, over records that both have (0.2: 20 points)."""

    change_share: float = Field(default=0.20, gt=0, le=1, alias="changeShare")
    """Of what the register has, one update may change so much. Source: ALL.XDL.003."""


DEFAULTS = GuardLimits()
