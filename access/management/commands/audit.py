"""The audit trail from the command line: `manage.py audit verify | export | heads`."""

import sys
from argparse import ArgumentParser, FileType
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from access import audit
from access.authorize import Actor
from access.models import AuditEntry, AuditProof, User
from access.trail import export, heads, proofs
from access.trail.forms import FilterForm
from access.trail.reading import FILTERS

BROKEN = 1  # the exit status


class Command(BaseCommand):
    help = "Proves the audit trail, exports it, or prints its heads."

    def add_arguments(self, parser: ArgumentParser) -> None:
        commands = parser.add_subparsers(dest="command", required=True)
        verify = commands.add_parser("verify", help="follow every chain from its first entry")
        verify.add_argument(
            "--heads", type=FileType(encoding="utf-8"), metavar="FILE",
            help="heads that were kept elsewhere, one in each line, as `audit heads` prints them",
        )  # fmt: skip
        written = commands.add_parser("export", help="write the entries to the standard output")
        written.add_argument("--format", choices=sorted(export.FORMATS), default="jsonl")
        for name in FILTERS:
            written.add_argument(f"--{name}", default="", help=f"only entries with this {name}")
        commands.add_parser("heads", help="print the newest entry's number and hash of each chain")

    def handle(self, *args: Any, **options: Any) -> None:
        {"verify": self._verify, "export": self._export, "heads": self._heads}[options["command"]](
            options
        )

    def _verify(self, options: dict[str, Any]) -> None:
        file = options["heads"]
        try:
            kept = heads.read(file, file.name) if file else []
        except heads.NoHeads as error:
            raise CommandError(str(error)) from error
        proof = proofs.prove(AuditProof(asked_by="command line"), kept=kept)
        for chain in proof.chains:
            name = chain["cluster"] or "the panel itself"
            broken = chain["broken"]
            found = (
                f"BROKEN at entry {broken['sequence']}: {broken['reason']}" if broken else "whole"
            )
            self.stdout.write(f"{name}: {chain['entries']} entries, {found}")
        if proof.breaks:
            self.stderr.write(
                "The audit trail was changed by force. Keep this database as it is, and compare it"
                " with an export or a backup from before."
            )
            sys.exit(BROKEN)

    def _export(self, options: dict[str, Any]) -> None:
        form = FilterForm({name: options[name] for name in FILTERS})
        if not form.is_valid():
            wrong = (f"--{name}: {' '.join(map(str, e))}" for name, e in form.errors.items())
            raise CommandError("; ".join(wrong))
        audit.record(
            Actor(User(username="command line"), "command"),
            "audit.export",
            AuditEntry.Phase.EVENT,
            scope=form.filters.scope,
            detail={"format": options["format"], "filters": form.filters.asked()},
        )
        found = form.filters.narrow(AuditEntry.objects.all())
        for piece in export.pieces(found, options["format"]):
            self.stdout.write(piece, ending="")

    def _heads(self, options: dict[str, Any]) -> None:
        for line in heads.lines():
            self.stdout.write(line)
