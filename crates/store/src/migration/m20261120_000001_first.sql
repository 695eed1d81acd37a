create table workspace (
    id {uuid} primary key,
    name text not null,
    created_at {time} not null
);

create table account (
    id {uuid} primary key,
    workspace_id {uuid} not null references workspace (id),
    sid text not null unique,
    tokens {json} not null,
    shared_keys {json} not null,
    created_at {time} not null
);

create table line (
    id {uuid} primary key,
    workspace_id {uuid} not null references workspace (id),
    account_id {uuid} not null references account (id),
    webhook_id text not null unique,
    address text not null,
    region text not null,
    method text not null,
    active boolean not null,
    on_open text not null,
    on_reopen text not null,
    on_update text not null,
    per_ten_minutes integer not null,
    per_day integer not null,
    per_second integer not null,
    created_at {time} not null
);

create table contact (
    id {uuid} primary key,
    workspace_id {uuid} not null references workspace (id),
    address text not null,
    name text not null,
    email text not null,
    created_at {time} not null,
    unique (workspace_id, address)
);

create table conversation (
    id {uuid} primary key,
    line_id {uuid} not null references line (id),
    key text not null,
    contact_id {uuid} not null references contact (id),
    current_case_id {uuid},
    unique (line_id, key)
);
create index conversation_contact on conversation (contact_id);

create table "case" (
    id {uuid} primary key,
    workspace_id {uuid} not null references workspace (id),
    number integer not null unique,
    conversation_id {uuid} not null references conversation (id),
    line_id {uuid} not null references line (id),
    contact_id {uuid} not null references contact (id),
    status text not null,
    subject text not null,
    opened_at {time} not null,
    updated_at {time} not null,
    closed_at {time}
);
create index case_recent on "case" (updated_at, number);
create index case_status on "case" (status, updated_at, number);
create index case_contact on "case" (contact_id, updated_at, number);

create table message (
    id {uuid} primary key,
    account_id {uuid} not null references account (id),
    line_id {uuid} not null references line (id),
    conversation_id {uuid} not null references conversation (id),
    contact_id {uuid} not null references contact (id),
    case_id {uuid} references "case" (id),
    direction text not null,
    provider_sid text,
    body text not null,
    media {json} not null,
    automatic boolean not null,
    author text,
    cause_id {uuid} unique,
    status text not null,
    seen integer not null,
    error_status text,
    error_code integer,
    conflict boolean not null,
    why {json} not null,
    received_at {time} not null,
    processed_at {time} not null,
    unique (account_id, provider_sid)
);
create index message_thread on message (case_id, received_at, id);
create index message_sid on message (provider_sid);
create index message_automatic on message (contact_id, processed_at) where automatic;

create table outbox (
    message_id {uuid} primary key references message (id),
    line_id {uuid} not null,
    conversation_id {uuid} not null,
    state text not null,
    attempt integer not null,
    due_at {time} not null,
    lease_until {time},
    queued_at {time} not null
);
create index outbox_due on outbox (line_id, due_at) where state = 'pending';
create index outbox_lane on outbox (conversation_id, queued_at);
create index outbox_lease on outbox (lease_until) where state = 'sending';

create table line_rate (
    line_id {uuid} primary key,
    next_at {time} not null
);

create table suppression (
    line_id {uuid} not null references line (id),
    contact_id {uuid} not null references contact (id),
    active boolean not null,
    source text not null,
    received_at {time} not null,
    primary key (line_id, contact_id)
);

create table event (
    dedupe_id text primary key,
    kind text not null,
    line text not null,
    received_at {time} not null,
    handled_at {time} not null,
    outcome text not null,
    reason text,
    provider_sid text,
    raw {bytes}
);
create index event_waiting on event (received_at) where outcome = 'waiting';
create index event_dead on event (handled_at) where outcome = 'dead';

create table case_event (
    id {serial},
    case_id {uuid} not null references "case" (id),
    actor text not null,
    kind text not null,
    why {json} not null,
    change {json} not null,
    at {time} not null
);
create index case_event_case on case_event (case_id, id);

create table reply_key (
    author text not null,
    key text not null,
    message_id {uuid} not null references message (id),
    created_at {time} not null,
    primary key (author, key)
);

create table token (
    id {uuid} primary key,
    workspace_id {uuid} not null references workspace (id),
    kind text not null,
    name text not null,
    hash text not null unique,
    created_at {time} not null,
    expires_at {time},
    used_at {time}
);

create table request (
    id {uuid} primary key,
    kind text not null,
    subject text not null,
    created_at {time} not null,
    done_at {time},
    outcome text
);
create index request_open on request (created_at) where done_at is null;

create table installation (
    id integer primary key,
    directory_version bigint not null,
    next_case_number integer not null,
    key_check text
);
insert into installation (id, directory_version, next_case_number) values (1, 1, 1001);
