CREATE TABLE IF NOT EXISTS tenants (
    id   integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE
);

CREATE TABLE IF NOT EXISTS users (
    id            integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id     integer NOT NULL REFERENCES tenants,
    email         text NOT NULL UNIQUE,
    password_hash text NOT NULL,
    tier          text NOT NULL CHECK (tier IN ('FREE', 'STARTER', 'PRO')),
    UNIQUE (tenant_id, id)
);

-- Double entry: the lines of one entry add up to nothing.
CREATE TABLE IF NOT EXISTS ledger (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id    integer NOT NULL REFERENCES tenants,
    entry        integer NOT NULL,
    booked_on    date NOT NULL,
    account      text NOT NULL,
    amount_cents bigint NOT NULL,
    memo         text NOT NULL
);
CREATE INDEX IF NOT EXISTS ledger_by_tenant ON ledger (tenant_id, booked_on, entry, id);

CREATE TABLE IF NOT EXISTS scenarios (
    id              integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id       integer NOT NULL,
    user_id         integer NOT NULL,
    name            text NOT NULL,
    income_percent  integer NOT NULL,
    expense_percent integer NOT NULL,
    FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id)
);
CREATE INDEX IF NOT EXISTS scenarios_by_tenant ON scenarios (tenant_id, user_id);

CREATE TABLE IF NOT EXISTS forecasts (
    id              integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id       integer NOT NULL,
    user_id         integer NOT NULL,
    income_percent  integer NOT NULL,
    expense_percent integer NOT NULL,
    status          text NOT NULL DEFAULT 'queued'
                    CHECK (status IN ('queued', 'running', 'finished', 'failed')),
    reason          text,
    result          jsonb,
    created_at      timestamptz NOT NULL DEFAULT now(),
    ended_at        timestamptz,
    FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id)
);
CREATE INDEX IF NOT EXISTS forecasts_by_tenant ON forecasts (tenant_id, user_id, created_at);

CREATE TABLE IF NOT EXISTS tickets (
    id         integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id  integer NOT NULL,
    user_id    integer NOT NULL,
    priority   text NOT NULL CHECK (priority IN ('low', 'normal', 'high')),
    problem    text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id)
);

CREATE TABLE IF NOT EXISTS opinions (
    tenant_id integer NOT NULL,
    user_id   integer PRIMARY KEY,
    score     integer NOT NULL CHECK (score BETWEEN 0 AND 10),
    trusts    boolean NOT NULL,
    FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id)
);
