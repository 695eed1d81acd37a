-- A database with a history: {cases} open cases of as many people, {each} texts in each, every one with its trail and
-- its event. References hold by construction and are not checked row by row. Their numbers lie among those of the people
-- who text, of whom every fourth has a case here, and the provider's ids are as random as it gives them: whoever adds to
-- an index meets all of it.
set session_replication_role = replica;
set synchronous_commit = off;
-- What is random is indexed at the end: row by row it would take twice as long.
drop index message_provider;
alter table event drop constraint event_pkey;
create function bench_stored(kind int, n bigint, m bigint) returns uuid language sql immutable as $$
    select (lpad(to_hex(kind), 8, '0') || '-0000-7000-8000-' || lpad(to_hex(n * 64 + m), 12, '0'))::uuid
$$;
insert into contact (id, workspace_id, address, name, email, created_at)
    select bench_stored(1, n, 0), workspace.id, '+1206' || lpad((2000000 + 4 * n)::text, 7, '0'), '', '', now()
    from workspace, generate_series(1, {cases}) as n;
insert into conversation (id, line_id, key, contact_id, current_case_id)
    select bench_stored(2, n, 0), line.id, '+1206' || lpad((2000000 + 4 * n)::text, 7, '0'), bench_stored(1, n, 0),
        bench_stored(3, n, 0)
    from line, generate_series(1, {cases}) as n;
insert into "case" (id, workspace_id, number, conversation_id, line_id, contact_id, status, subject, opened_at, updated_at,
        unanswered_since)
    select bench_stored(3, n, 0), line.workspace_id, 1000 + n, bench_stored(2, n, 0), line.id, bench_stored(1, n, 0),
        'open', 'My heater is broken again, and it is cold. Could somebody', now() - interval '90 days',
        now() - interval '90 days' + n * interval '1 second', now() - interval '90 days' + n * interval '1 second'
    from line, generate_series(1, {cases}) as n;
insert into message (id, account_id, line_id, conversation_id, contact_id, case_id, direction, provider_sid, body, media,
        automatic, status, seen, conflict, why, received_at, processed_at)
    select bench_stored(4, n, m), line.account_id, line.id, bench_stored(2, n, 0), bench_stored(1, n, 0),
        bench_stored(3, n, 0), 'inbound', 'SM' || md5(n || '.' || m),
        'My heater is broken again, and it is cold. Could somebody please look at it today?', '[]', false, 'received', 0,
        false, '{"rule": "joined_current"}', now() - interval '90 days' + n * interval '1 second',
        now() - interval '90 days' + n * interval '1 second'
    from line, generate_series(1, {cases}) as n, generate_series(1, {each}) as m;
insert into case_event (case_id, actor, kind, why, change, at)
    select bench_stored(3, n, 0), 'customer', 'text_joined', '{"rule": "joined_current"}',
        '{"status": "open", "message": "01a223c3-c767-74e1-a8bf-e074ee536adb"}',
        now() - interval '90 days' + n * interval '1 second'
    from generate_series(1, {cases}) as n, generate_series(1, {each}) as m;
insert into event (dedupe_id, kind, line, received_at, handled_at, outcome)
    select 'i:AC00000000000000000000000000000001:SM' || md5(n || '.' || m), 'message', 'main',
        now() - interval '90 days', now() - interval '90 days', 'handled'
    from generate_series(1, {cases}) as n, generate_series(1, {each}) as m;
create unique index message_provider on message (provider_sid, account_id);
alter table event add primary key (dedupe_id);
update installation set next_case_number = 1001 + {cases};
set session_replication_role = origin;
vacuum analyze;
checkpoint;
