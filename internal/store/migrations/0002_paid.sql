-- +goose Up

-- Whether a key ever paid to a destination is asked before each payment that a
-- rule with `seen:` speaks about. Owner: journal.
CREATE INDEX "spend_destination" ON "spend" ("destination", "key_id");
