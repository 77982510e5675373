"""Audit entries can be added and nothing else: the database itself refuses."""

from django.db import migrations, models

REFUSE = """
CREATE FUNCTION access_audit_only_grows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit trail only grows: % is refused', TG_OP;
END $$;
CREATE TRIGGER access_audit_only_grows
    BEFORE UPDATE OR DELETE OR TRUNCATE ON access_auditentry
    FOR EACH STATEMENT EXECUTE FUNCTION access_audit_only_grows();
"""
ALLOW = """
DROP TRIGGER access_audit_only_grows ON access_auditentry;
DROP FUNCTION access_audit_only_grows();
"""


class Migration(migrations.Migration):
    dependencies = [("access", "0003_chain_what_is_there")]

    operations = [
        migrations.AddConstraint(
            model_name="auditentry",
            constraint=models.UniqueConstraint(
                fields=("cluster", "sequence"), name="audit_sequence_once"
            ),
        ),
        migrations.RunSQL(REFUSE, ALLOW),
    ]
