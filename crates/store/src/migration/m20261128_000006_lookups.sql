-- Addresses are looked up many at once and in every workspace: the unique key, which begins with the workspace, would be
-- read from end to end for that as long as a plan from when the table was small is in use.
create index contact_address on contact (address);

-- In the order in which texts are claimed, so that a claim reads as many as it takes, however many wait.
drop index outbox_due;

create index outbox_due on outbox (line_id, due_at, message_id) where state = 'pending';
