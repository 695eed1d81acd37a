-- The practical limit: the same writes for a whole batch in one statement, its texts made up by the server itself, so
-- that nothing is sent, read or decided outside.
with texts as materialized (
    select bench_id() as id,
        -- Each client has senders of its own, as each shard of casewire has, or they would wait for each other's.
        '+1206' || lpad((2000000 + floor(random() * :senders / :clients)::int * :clients + :client_id)::text, 7, '0')
            as key,
        'SM' || replace(gen_random_uuid()::text, '-', '') as sid,
        'My heater is broken again, and it is cold. Could you look at it in flat '
            || lpad(floor(random() * 1000000)::text, 6, '0') || '?' as body
        from generate_series(1, :batch)
), known as materialized (
    select id, key, contact_id, current_case_id from conversation
        where line_id = :line::uuid and key = any (array(select key from texts))
        order by id for update
), strangers as materialized (
    select bench_id() as id, key, bench_id() as contact_id, bench_id() as case_id, bench_id() as answer_id, cause_id,
            subject
        from (select key, (array_agg(id))[1] as cause_id, (array_agg(body))[1] as subject from texts group by key)
            as sender
        where key not in (select key from known)
), lanes as materialized (
    select id, key, contact_id, current_case_id as case_id from known
        union all select id, key, contact_id, case_id from strangers
), new_contacts as (
    insert into contact (id, workspace_id, address, name, email, created_at)
        select contact_id, :workspace::uuid, key, 'SMS from Seattle, WA', key || '@sms.invalid', now() from strangers
), new_lanes as (
    insert into conversation (id, line_id, key, contact_id, current_case_id)
        select id, :line::uuid, key, contact_id, case_id from strangers
), new_cases as (
    insert into "case" (id, workspace_id, number, conversation_id, line_id, contact_id, status, subject, opened_at,
            updated_at, unanswered_since)
        select case_id, :workspace::uuid, nextval('bench_number')::int, id, :line::uuid, contact_id, 'open',
            subject, now(), now(), now()
            from strangers
), old_cases as (
    update "case" set updated_at = now() from known where "case".id = known.current_case_id
), placed as materialized (
    select texts.id, texts.sid, texts.body, lanes.id as conversation_id, lanes.contact_id, lanes.case_id
        from texts join lanes using (key)
), new_texts as (
    insert into message (id, account_id, line_id, conversation_id, contact_id, case_id, direction, provider_sid, body,
            media, automatic, status, seen, conflict, why, received_at, processed_at)
        select id, :account::uuid, :line::uuid, conversation_id, contact_id, case_id, 'inbound', sid, body,
            '[]', false, 'received', 0, false, '{"rule": "joined_current"}', now(), now()
            from placed
), answers as (
    insert into message (id, account_id, line_id, conversation_id, contact_id, case_id, direction, body, media,
            automatic, cause_id, status, seen, conflict, why, received_at, processed_at)
        select answer_id, :account::uuid, :line::uuid, id, contact_id, case_id, 'outbound',
            'Thank you. We have opened a case for you and will be back soon.', '[]', true, cause_id, 'queued', 0, false,
            '{"rule": "acknowledgement"}', now(), now()
            from strangers
), queue as (
    insert into outbox (message_id, line_id, conversation_id, state, attempt, due_at, queued_at)
        select answer_id, :line::uuid, id, 'pending', 0, now(), now() from strangers
), trail as (
    insert into case_event (case_id, actor, kind, why, change, at)
        select case_id, 'customer', 'text_joined', '{"rule": "joined_current"}'::jsonb,
            '{"status": "open", "message": "01a223c3-c767-74e1-a8bf-e074ee536adb"}'::jsonb, now() from placed
        union all
        select case_id, 'casewire', 'acknowledgement_queued', '{"rule": "acknowledgement"}',
            '{"status": "open", "message": "01a223c3-c767-74e1-a8bf-e074ee536adb"}', now() from strangers
)
insert into event (dedupe_id, kind, line, received_at, handled_at, outcome, raw)
    select :prefix::text || sid, 'message', 'main', now(), now(), 'handled',
        :raw::text::bytea
        from placed;
