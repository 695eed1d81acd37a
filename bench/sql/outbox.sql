-- An outbox of {lines} lines with {each} texts each, every one to a person of their own.
create function bench_outgoing(kind int, n bigint) returns uuid language sql immutable as $$
    select (lpad(to_hex(kind), 8, '0') || '-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid
$$;
create temporary table outgoing as
    select row_number() over () as n, l as line, bench_outgoing(5, l) as line_id
    from generate_series(1, {lines}) as l, generate_series(1, {each}) as e;
insert into line (id, workspace_id, account_id, webhook_id, address, region, method, active, on_open, on_reopen, on_update,
        per_ten_minutes, per_day, per_second, created_at)
    select bench_outgoing(5, n), workspace_id, account_id, 'bench' || n, '+1555' || lpad((1000000 + n)::text, 7, '0'),
        region, method, active, on_open, on_reopen, on_update, per_ten_minutes, per_day, {rate}, created_at
    from line, generate_series(1, {lines}) as n;
insert into contact (id, workspace_id, address, name, email, created_at)
    select bench_outgoing(1, n), workspace.id, '+1206' || lpad((2000000 + n)::text, 7, '0'), '', '', now()
    from workspace, outgoing;
insert into conversation (id, line_id, key, contact_id)
    select bench_outgoing(2, n), line_id, '+1206' || lpad((2000000 + n)::text, 7, '0'), bench_outgoing(1, n)
    from outgoing;
insert into "case" (id, workspace_id, number, conversation_id, line_id, contact_id, status, subject, opened_at, updated_at)
    select bench_outgoing(3, n), workspace.id, 1000 + n, bench_outgoing(2, n), line_id, bench_outgoing(1, n), 'open',
        'My heater is broken', now(), now()
    from workspace, outgoing;
insert into message (id, account_id, line_id, conversation_id, contact_id, case_id, direction, body, media, automatic,
        author, status, seen, conflict, why, received_at, processed_at)
    select bench_outgoing(4, n), account.id, line_id, bench_outgoing(2, n), bench_outgoing(1, n), bench_outgoing(3, n),
        'outbound', 'Somebody will be there at four.', '[]', false, 'agent:bench', 'queued', 0, false,
        '{"rule": "reply"}', now(), now()
    from account, outgoing;
insert into outbox (message_id, line_id, conversation_id, state, attempt, due_at, queued_at)
    select bench_outgoing(4, n), line_id, bench_outgoing(2, n), 'pending', 0, now(), now() from outgoing;
update installation set directory_version = directory_version + 1;
analyze;
