"""The assets a delivery passes through, as Dagster shows them.

They are written by the job ``process_deliveries``, which takes all waiting deliveries in one
run and reports one materialisation per delivery under its office and right; so they are
declared here and not computed one by one.
"""

import dagster as dg

from ipregister.quality import Severity
from pipelines.partitions import office_rights

LANDING = dg.AssetSpec(
    ["landing", "deliveries"],
    group_name="landing",
    description="What the offices sent, byte for byte; one ledger row per delivery.",
    partitions_def=office_rights,
)
STAGED = dg.AssetSpec(
    ["register", "staged"],
    group_name="register",
    description="Canonical rows of a delivery, read and mapped, visible to no one yet.",
    partitions_def=office_rights,
    deps=[LANDING],
)
FINDINGS = dg.AssetSpec(
    ["quality", "findings"],
    group_name="quality",
    description="What is wrong in a delivery: rule, record, element, line, value, remedy.",
    partitions_def=office_rights,
    deps=[STAGED],
)
LOG = dg.AssetSpec(
    ["register", "log"],
    group_name="register",
    description="Append-only Delta log of every change of every record, never rewritten.",
    partitions_def=office_rights,
    deps=[STAGED, FINDINGS],
)
BASE = dg.AssetSpec(
    ["register", "base"],
    group_name="register",
    description="Compacted Delta base: what every record is now.",
    partitions_def=office_rights,
    deps=[LOG],
)
SERVING = dg.AssetSpec(
    ["serving", "records"],
    group_name="serving",
    description="Records as third parties read them, one JSON fragment per disclosure class.",
    partitions_def=office_rights,
    deps=[LOG],
)
RECEIPTS = dg.AssetSpec(
    ["quality", "receipts"],
    group_name="quality",
    description="What became of every record of a delivery; the numbers add up.",
    partitions_def=office_rights,
    deps=[SERVING, FINDINGS],
)

ASSETS = (LANDING, STAGED, FINDINGS, LOG, BASE, SERVING, RECEIPTS)

NO_FINDINGS = {
    severity: dg.AssetCheckSpec(
        f"no_{severity}_findings",
        asset=FINDINGS.key,
        description=f"The office's latest delivery has no finding of severity {severity}.",
    )
    for severity in (Severity.CRITICAL, Severity.ERROR, Severity.WARNING)
}
RECEIPT_ADDS_UP = dg.AssetCheckSpec(
    "receipt_adds_up",
    asset=RECEIPTS.key,
    description="Records read = accepted + held + rejected + unchanged + duplicates.",
)
OFFICES_REACHABLE = dg.AssetCheckSpec(
    "offices_reachable",
    asset=LANDING.key,
    description="Every office's SFTP folder was read within 24 hours, and none refused us.",
)
HOLDS_ARE_DECIDED = dg.AssetCheckSpec(
    "holds_are_decided",
    asset=LOG.key,
    description="No delivery has been held for three days, or incomplete for one, or longer.",
)
