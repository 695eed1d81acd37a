-- The same writes as casewire's for a whole batch, its texts made up by SQLite itself.
begin immediate;
delete from temp.text;
delete from temp.opened;
insert into temp.text (id, key, sid, body, at)
    with recursive one (n) as (select 1 union all select n + 1 from one where n < {batch})
    select cast(unhex(printf('%012x', unixepoch('subsec') * 1000)) || randomblob(10) as blob),
        '+1206' || (2000000 + abs(random() % {senders})), 'SM' || lower(hex(randomblob(16))),
        printf('My heater is broken again, and it is cold. Could you look at it in flat %06d?', abs(random() % 1000000)),
        strftime('%Y-%m-%d %H:%M:%f+00:00', 'now')
    from one;
insert into temp.opened
    select cast(unhex(printf('%012x', unixepoch('subsec') * 1000)) || randomblob(10) as blob),
        cast(unhex(printf('%012x', unixepoch('subsec') * 1000)) || randomblob(10) as blob),
        conversation.id, conversation.contact_id, sender.id, sender.body
    from (select key, min(id) as id, body from temp.text group by key) as sender
        join line on line.webhook_id = 'main'
        join conversation on conversation.line_id = line.id and conversation.key = sender.key
    where conversation.current_case_id is null;
insert into "case" (id, workspace_id, number, conversation_id, line_id, contact_id, status, subject, opened_at, updated_at,
        unanswered_since)
    select case_id, line.workspace_id,
        (select coalesce(max(number), 1000) from "case") + row_number() over (), conversation_id, line.id, contact_id,
        'open', subject, (select at from temp.text), (select at from temp.text), (select at from temp.text)
    from temp.opened, line where line.webhook_id = 'main';
update conversation set current_case_id = opened.case_id from temp.opened as opened
    where conversation.id = opened.conversation_id;
update temp.text set (case_id, conversation_id, contact_id) =
    (select conversation.current_case_id, conversation.id, conversation.contact_id
        from conversation join line on line.id = conversation.line_id
        where line.webhook_id = 'main' and conversation.key = text.key);
update "case" set updated_at = (select max(at) from temp.text) where id in (select case_id from temp.text);
insert into message (id, account_id, line_id, conversation_id, contact_id, case_id, direction, provider_sid, body, media,
        automatic, status, seen, conflict, why, received_at, processed_at)
    select text.id, line.account_id, line.id, conversation_id, contact_id, case_id, 'inbound', sid, body, '[]', false,
        'received', 0, false, '{"rule":"joined_current"}', at, at
    from temp.text as text, line where line.webhook_id = 'main';
insert into message (id, account_id, line_id, conversation_id, contact_id, case_id, direction, body, media, automatic,
        cause_id, status, seen, conflict, why, received_at, processed_at)
    select answer_id, line.account_id, line.id, conversation_id, contact_id, case_id, 'outbound',
        'Thank you. We have opened a case for you and will be back soon.', '[]', true, cause_id, 'queued', 0, false,
        '{"rule":"acknowledgement"}', (select at from temp.text), (select at from temp.text)
    from temp.opened, line where line.webhook_id = 'main';
insert into outbox (message_id, line_id, conversation_id, state, attempt, due_at, queued_at)
    select answer_id, line.id, conversation_id, 'pending', 0, (select at from temp.text), (select at from temp.text)
    from temp.opened, line where line.webhook_id = 'main';
insert into case_event (case_id, actor, kind, why, change, at)
    select case_id, 'customer', 'text_joined', '{"rule":"joined_current"}',
        '{"status": "open", "message": "01a223c3-c767-74e1-a8bf-e074ee536adb"}', at from temp.text
    union all
    select case_id, 'casewire', 'acknowledgement_queued', '{"rule":"acknowledgement"}',
        '{"status": "open", "message": "01a223c3-c767-74e1-a8bf-e074ee536adb"}', (select at from temp.text) from temp.opened;
insert into event (dedupe_id, kind, line, received_at, handled_at, outcome, raw)
    select 'i:AC00000000000000000000000000000001:' || sid, 'message', 'main', at, at, 'handled', zeroblob(659)
    from temp.text;
commit;
