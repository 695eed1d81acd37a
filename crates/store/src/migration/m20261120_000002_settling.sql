alter table outbox add column attempted_at {time};
alter table outbox add column searched_from {time};
alter table outbox add column looks integer not null default 0;
alter table outbox add column look_at {time};
alter table outbox add column held_at {time};
alter table outbox add column resends integer not null default 0;
create index outbox_unsettled on outbox (looks, attempted_at) where state = 'uncertain';

alter table line add column when_uncertain text not null default 'hold';

create index message_unbound on message (contact_id) where direction = 'outbound' and provider_sid is null;
