-- What is usual: one transaction a text. It locks the sender's conversation, joins or opens the case, and writes the
-- text, its trail, the event that proves it, and the acknowledgement of a case that was opened.
\set sender random(0, :senders - 1)
\set high random(1, 9223372036854775806)
\set low random(1, 9223372036854775806)
\set flat random(100000, 999999)
begin;
select id as conversation, contact_id as contact, coalesce(current_case_id, bench_id()) as in_case,
    (current_case_id is null)::int as fresh
    from conversation
    where line_id = :line::uuid and key = '+1206' || lpad((2000000 + :sender)::text, 7, '0')
    for update \gset
\if :fresh
insert into "case" (id, workspace_id, number, conversation_id, line_id, contact_id, status, subject, opened_at, updated_at,
        unanswered_since)
    values (:in_case::uuid, :workspace::uuid, nextval('bench_number')::int, :conversation::uuid, :line::uuid,
        :contact::uuid, 'open', 'My heater is broken again, and it is cold. Could you look at it in flat ' || :flat || '?',
        now(), now(), now());
update conversation set current_case_id = :in_case::uuid where id = :conversation::uuid;
\else
update "case" set updated_at = now() where id = :in_case::uuid;
\endif
insert into message (id, account_id, line_id, conversation_id, contact_id, case_id, direction, provider_sid, body,
        media, automatic, status, seen, conflict, why, received_at, processed_at)
    values (bench_id(), :account::uuid, :line::uuid, :conversation::uuid, :contact::uuid, :in_case::uuid, 'inbound',
        'SM' || lpad(to_hex(:high::bigint), 16, '0') || lpad(to_hex(:low::bigint), 16, '0'),
        'My heater is broken again, and it is cold. Could you look at it in flat ' || :flat || '?',
        '[]', false, 'received', 0, false, '{"rule": "joined_current"}', now(), now())
    returning id as cause \gset
insert into case_event (case_id, actor, kind, why, change, at)
    values (:in_case::uuid, 'customer', 'text_joined', '{"rule": "joined_current"}',
        '{"status": "open", "message": "01a223c3-c767-74e1-a8bf-e074ee536adb"}', now());
\if :fresh
with answer as (
    insert into message (id, account_id, line_id, conversation_id, contact_id, case_id, direction, body, media,
            automatic, cause_id, status, seen, conflict, why, received_at, processed_at)
        values (bench_id(), :account::uuid, :line::uuid, :conversation::uuid, :contact::uuid, :in_case::uuid,
            'outbound', 'Thank you. We have opened a case for you and will be back soon.', '[]', true, :cause::uuid,
            'queued', 0, false, '{"rule": "acknowledgement"}', now(), now())
        returning id, case_id, line_id, conversation_id
), trail as (
    insert into case_event (case_id, actor, kind, why, change, at)
        select case_id, 'casewire', 'acknowledgement_queued', '{"rule": "acknowledgement"}',
            '{"status": "open", "message": "01a223c3-c767-74e1-a8bf-e074ee536adb"}', now() from answer
)
insert into outbox (message_id, line_id, conversation_id, state, attempt, due_at, queued_at)
    select id, line_id, conversation_id, 'pending', 0, now(), now() from answer;
\endif
insert into event (dedupe_id, kind, line, received_at, handled_at, outcome, raw)
    values (:prefix::text || 'SM' || lpad(to_hex(:high::bigint), 16, '0')
        || lpad(to_hex(:low::bigint), 16, '0'), 'message', 'main', now(), now(), 'handled', :raw::text::bytea);
commit;
