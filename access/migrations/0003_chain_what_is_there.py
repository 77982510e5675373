"""Number and chain the audit entries that were written before there was a chain."""

from datetime import UTC

from django.db import migrations

from access.chain import link


def chain(apps, schema_editor):
    entries = apps.get_model("access", "AuditEntry").objects
    chains = apps.get_model("access", "AuditChain").objects
    for cluster in entries.order_by().values_list("cluster", flat=True).distinct():
        sequence, last = 0, ""
        for entry in entries.filter(cluster=cluster).order_by("id").iterator():
            sequence += 1
            entry.sequence, entry.hash = sequence, ""
            entry.hash = last = link(last, _exported(entry))
            entry.save(update_fields=["sequence", "hash"])
        chains.create(cluster=cluster, sequence=sequence, hash=last)


def _exported(entry):
    names = (
        "cluster", "sequence", "phase", "via", "address", "action", "stack", "target", "outcome",
        "detail",
    )
    return {
        "at": entry.at.astimezone(UTC).isoformat(timespec="microseconds"),
        "actor": entry.actor_name,
        "operation": str(entry.operation) if entry.operation else None,
        **{name: getattr(entry, name) for name in names},
    }


def let_admins_read_on(apps, schema_editor):
    """Auditing was the admins' until now: those who had it keep it, as a role of its own."""
    grants = apps.get_model("access", "Grant").objects
    for admin in grants.filter(role="admin"):
        grants.get_or_create(
            user_id=admin.user_id, role="auditor", cluster=admin.cluster, stack=admin.stack
        )


class Migration(migrations.Migration):
    dependencies = [("access", "0002_access")]

    operations = [
        migrations.RunPython(chain, migrations.RunPython.noop),
        migrations.RunPython(let_admins_read_on, migrations.RunPython.noop),
    ]
