create table lease (
    name text primary key,
    holder {uuid} not null,
    until {time} not null
);

create table stream_mark (
    stream text not null,
    life text not null,
    verified bigint not null,
    settled bigint not null,
    swept_at {time} not null,
    primary key (stream, life)
);

create table line_listing (
    line_id {uuid} primary key references line (id) on delete cascade,
    listed_to {time} not null
);

create table reconciliation (
    id {uuid} primary key,
    asked_by text not null,
    since {time},
    started_at {time} not null,
    finished_at {time},
    lines_total integer not null,
    lines {json} not null
);
create index reconciliation_recent on reconciliation (started_at);
