-- +goose Up

-- The dialect is the one that SQLite and PostgreSQL share. Tables with the
-- columns written and mac are authenticated (docs/formats/rows.md).

-- One row: the state that every commit starts from and ends with. Owner: store.
CREATE TABLE "head" (
	"id" bigint NOT NULL PRIMARY KEY,
	"sequence" bigint NOT NULL,
	"hash" bytea NOT NULL,
	"time" bigint NOT NULL,
	"epoch" bigint NOT NULL,
	"charter" bigint NOT NULL,
	"rules" bytea NOT NULL,
	"open" bigint NOT NULL,
	"commits" bigint NOT NULL,
	"sums" bytea NOT NULL,
	"mac" bytea NOT NULL
);

-- One row a commit, with all its records. Owner: journal.
CREATE TABLE "log" (
	"first" bigint NOT NULL PRIMARY KEY,
	"count" bigint NOT NULL,
	"group_id" bytea NOT NULL UNIQUE,
	"body" bytea NOT NULL
);

-- Owner: journal.
CREATE TABLE "operation" (
	"id" text NOT NULL PRIMARY KEY,
	"parent" text NOT NULL,
	"actor" text NOT NULL,
	"idem" text NOT NULL,
	"idx" bigint NOT NULL,
	"hash" bytea NOT NULL,
	"state" text NOT NULL,
	"verb" text NOT NULL,
	"key_id" text NOT NULL,
	"key_version" bigint NOT NULL,
	"subject" text NOT NULL,
	"request" bytea NOT NULL,
	"created" bigint NOT NULL,
	"expires" bigint NOT NULL,
	"changed" bigint NOT NULL,
	"begun" bigint NOT NULL,
	"ended" bigint NOT NULL,
	"charter" bigint NOT NULL,
	"outcome" text NOT NULL,
	"result" bytea NOT NULL,
	"written" bigint NOT NULL,
	"mac" bytea NOT NULL
);
CREATE UNIQUE INDEX "operation_idem" ON "operation" ("actor", "idem", "idx") WHERE "idem" <> '';
CREATE INDEX "operation_open" ON "operation" ("state") WHERE "state" NOT IN ('done', 'failed', 'denied', 'expired');

-- Owner: journal. The order of the key also finds the buckets of a window.
CREATE TABLE "spend" (
	"bucket" bigint NOT NULL,
	"key_id" text NOT NULL,
	"actor" text NOT NULL,
	"asset" text NOT NULL,
	"destination" text NOT NULL,
	"total" bytea NOT NULL,
	"written" bigint NOT NULL,
	"mac" bytea NOT NULL,
	PRIMARY KEY ("asset", "bucket", "key_id", "actor", "destination")
);

-- Owner: kms. A destroyed key keeps its name.
CREATE TABLE "key" (
	"id" text NOT NULL PRIMARY KEY,
	"name" text NOT NULL UNIQUE,
	"state" text NOT NULL,
	"current" bigint NOT NULL,
	"created" bigint NOT NULL,
	"meta" bytea NOT NULL,
	"written" bigint NOT NULL,
	"mac" bytea NOT NULL
);

-- Owner: kms.
CREATE TABLE "key_version" (
	"key_id" text NOT NULL,
	"version" bigint NOT NULL,
	"public" bytea NOT NULL,
	"created" bigint NOT NULL,
	"birth" bytea NOT NULL,
	"written" bigint NOT NULL,
	"mac" bytea NOT NULL,
	PRIMARY KEY ("key_id", "version")
);

-- Owner: keystore/software.
CREATE TABLE "material" (
	"key_id" text NOT NULL,
	"version" bigint NOT NULL,
	"root_version" bigint NOT NULL,
	"context" bytea NOT NULL,
	"wrapped" bytea NOT NULL,
	"sealed" bytea NOT NULL,
	"written" bigint NOT NULL,
	"mac" bytea NOT NULL,
	PRIMARY KEY ("key_id", "version")
);

-- Owner: charter.
CREATE TABLE "charter" (
	"version" bigint NOT NULL PRIMARY KEY,
	"body" bytea NOT NULL,
	"signature" bytea NOT NULL,
	"written" bigint NOT NULL,
	"mac" bytea NOT NULL
);

-- Owner: identity.
CREATE TABLE "service" (
	"id" text NOT NULL PRIMARY KEY,
	"name" text NOT NULL UNIQUE,
	"token_hash" bytea NOT NULL UNIQUE,
	"networks" text NOT NULL,
	"created" bigint NOT NULL,
	"expires" bigint NOT NULL,
	"revoked" bigint NOT NULL,
	"written" bigint NOT NULL,
	"mac" bytea NOT NULL
);

-- Owner: whoever seals keys of the system.
CREATE TABLE "system_key" (
	"name" text NOT NULL PRIMARY KEY,
	"root_version" bigint NOT NULL,
	"public" bytea NOT NULL,
	"sealed" bytea NOT NULL,
	"written" bigint NOT NULL,
	"mac" bytea NOT NULL
);

-- Owner: seal.
CREATE TABLE "slot" (
	"id" text NOT NULL PRIMARY KEY,
	"kind" text NOT NULL,
	"name" text NOT NULL,
	"created" bigint NOT NULL,
	"root_version" bigint NOT NULL,
	"params" bytea NOT NULL,
	"public" bytea NOT NULL,
	"sealed_private" bytea NOT NULL,
	"sealed_root" bytea NOT NULL,
	"written" bigint NOT NULL,
	"mac" bytea NOT NULL
);
