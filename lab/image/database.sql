-- The database of the reference stack: documents by tenant, in ranges of ten tenants.
\set password `cat /run/secrets/postgres_password`
CREATE ROLE sutazai LOGIN PASSWORD :'password';
CREATE DATABASE sutazai OWNER sutazai;
\connect sutazai
SET ROLE sutazai;

CREATE TABLE documents (
  tenant_id  integer     NOT NULL,
  id         bigint      NOT NULL GENERATED ALWAYS AS IDENTITY,
  title      text        NOT NULL,
  body       text        NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, id)
) PARTITION BY RANGE (tenant_id);
CREATE TABLE documents_0_9 PARTITION OF documents FOR VALUES FROM (0) TO (10);
CREATE TABLE documents_10_19 PARTITION OF documents FOR VALUES FROM (10) TO (20);
CREATE TABLE documents_20_29 PARTITION OF documents FOR VALUES FROM (20) TO (30);
CREATE INDEX documents_created_at ON documents (created_at);

INSERT INTO documents (tenant_id, title, body)
SELECT n % 30, 'Document ' || n, repeat(md5(n::text), 4) FROM generate_series(1, 6000) AS n;
