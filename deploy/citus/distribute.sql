-- Distributes the tables of migrated schemas over the nodes of Citus 14 or newer, by deploy/citus/tables.yaml.
-- Written by `make docs-scaling`; docs/scaling.md says what changes with it, and what it takes besides.

-- toll_roads

ALTER TABLE toll_roads.log_has_toll_road DROP CONSTRAINT log_has_toll_road_order_id_fkey;
ALTER TABLE toll_roads.orders DROP CONSTRAINT orders_offer_id_key;
ALTER TABLE toll_roads.orders ADD CONSTRAINT orders_offer_id_key UNIQUE (offer_id, order_id);
SELECT create_reference_table('toll_roads.archive_batches');
SELECT create_distributed_table('toll_roads.orders', 'order_id', colocate_with => 'none');
SELECT create_distributed_table('toll_roads.log_has_toll_road', 'order_id', colocate_with => 'toll_roads.orders');
SELECT create_distributed_table('toll_roads.offers', 'offer_id', colocate_with => 'none');
ALTER TABLE toll_roads.log_has_toll_road ADD CONSTRAINT log_has_toll_road_order_id_fkey FOREIGN KEY (order_id) REFERENCES toll_roads.orders(order_id) ON DELETE RESTRICT;

-- order_core

ALTER TABLE order_core.processing_events DROP CONSTRAINT processing_events_order_id_fkey;
ALTER TABLE order_core.processing_events DROP CONSTRAINT processing_events_pkey;
ALTER TABLE order_core.processing_events ADD CONSTRAINT processing_events_pkey PRIMARY KEY (id, order_id);
SELECT create_distributed_table('order_core.orders', 'order_id', colocate_with => 'none');
SELECT create_distributed_table('order_core.processing_events', 'order_id', colocate_with => 'order_core.orders');
ALTER TABLE order_core.processing_events ADD CONSTRAINT processing_events_order_id_fkey FOREIGN KEY (order_id) REFERENCES order_core.orders(order_id) ON DELETE RESTRICT;

-- eats_orders

SELECT create_distributed_table('eats_orders.orders', 'orderid', colocate_with => 'none');

-- grocery_orders

SELECT create_distributed_table('grocery_orders.orders', 'orderid', colocate_with => 'none');

-- order_state

ALTER TABLE order_state.parts DROP CONSTRAINT parts_order_fkey;
SELECT create_distributed_table('order_state.orders', 'orderid', colocate_with => 'none');
SELECT create_distributed_table('order_state.parts', 'orderid', colocate_with => 'order_state.orders');
ALTER TABLE order_state.parts ADD CONSTRAINT parts_order_fkey FOREIGN KEY (service, orderid) REFERENCES order_state.orders(service, orderid) ON DELETE CASCADE;

-- eulas

ALTER TABLE eulas.decisions_log DROP CONSTRAINT decisions_log_pkey;
ALTER TABLE eulas.decisions_log ADD CONSTRAINT decisions_log_pkey UNIQUE (decision_id, pseudonym);
DROP TRIGGER decisions_log_is_append_only ON eulas.decisions_log;
DROP TRIGGER decisions_log_is_never_emptied ON eulas.decisions_log;
SELECT create_reference_table('eulas.agreements');
SELECT create_distributed_table('eulas.users', 'yandex_uid', colocate_with => 'none');
SELECT create_distributed_table('eulas.user_keys', 'yandex_uid', colocate_with => 'eulas.users');
SELECT create_distributed_table('eulas.decisions_log', 'pseudonym', colocate_with => 'none');

-- family

ALTER TABLE family.members DROP CONSTRAINT members_family_id_fkey;
ALTER TABLE family.invitations DROP CONSTRAINT invitations_family_id_fkey;
ALTER TABLE family.families DROP CONSTRAINT families_family_number_key;
ALTER TABLE family.families ADD CONSTRAINT families_family_number_key UNIQUE (family_number, family_id);
ALTER TABLE family.members DROP CONSTRAINT members_membership_id_key;
ALTER TABLE family.members ADD CONSTRAINT members_membership_id_key UNIQUE (membership_id, family_id);
ALTER TABLE family.members DROP CONSTRAINT members_pkey;
ALTER TABLE family.members ADD CONSTRAINT members_pkey PRIMARY KEY (member_number, family_id);
ALTER TABLE family.members DROP CONSTRAINT members_yandex_uid_key;
ALTER TABLE family.members ADD CONSTRAINT members_yandex_uid_key UNIQUE (yandex_uid, family_id);
ALTER TABLE family.invitations DROP CONSTRAINT invitations_pkey;
ALTER TABLE family.invitations ADD CONSTRAINT invitations_pkey PRIMARY KEY (invitation_id, family_id);
SELECT create_distributed_table('family.families', 'family_id', colocate_with => 'none');
SELECT create_distributed_table('family.members', 'family_id', colocate_with => 'family.families');
SELECT create_distributed_table('family.invitations', 'family_id', colocate_with => 'family.families');
ALTER TABLE family.members ADD CONSTRAINT members_family_id_fkey FOREIGN KEY (family_id) REFERENCES family.families(family_id) ON DELETE CASCADE;
ALTER TABLE family.invitations ADD CONSTRAINT invitations_family_id_fkey FOREIGN KEY (family_id) REFERENCES family.families(family_id) ON DELETE CASCADE;

-- order_route_sharing

ALTER TABLE order_route_sharing.phone_ids DROP CONSTRAINT phone_ids_sharing_key_fkey;
ALTER TABLE order_route_sharing.family_rides DROP CONSTRAINT family_rides_family_id_fkey;
ALTER TABLE order_route_sharing.family_rides DROP CONSTRAINT family_rides_sharing_key_fkey;
ALTER TABLE order_route_sharing.family_members DROP CONSTRAINT family_members_family_id_fkey;
SELECT create_reference_table('order_route_sharing.families');
SELECT create_reference_table('order_route_sharing.family_members');
SELECT create_distributed_table('order_route_sharing.sharing_keys', 'sharing_key', colocate_with => 'none');
SELECT create_distributed_table('order_route_sharing.phone_ids', 'sharing_key', colocate_with => 'order_route_sharing.sharing_keys');
SELECT create_distributed_table('order_route_sharing.family_rides', 'sharing_key', colocate_with => 'order_route_sharing.sharing_keys');
ALTER TABLE order_route_sharing.phone_ids ADD CONSTRAINT phone_ids_sharing_key_fkey FOREIGN KEY (sharing_key) REFERENCES order_route_sharing.sharing_keys(sharing_key) ON DELETE CASCADE;
ALTER TABLE order_route_sharing.family_rides ADD CONSTRAINT family_rides_family_id_fkey FOREIGN KEY (family_id) REFERENCES order_route_sharing.families(family_id) ON DELETE CASCADE;
ALTER TABLE order_route_sharing.family_rides ADD CONSTRAINT family_rides_sharing_key_fkey FOREIGN KEY (sharing_key) REFERENCES order_route_sharing.sharing_keys(sharing_key) ON DELETE CASCADE;
ALTER TABLE order_route_sharing.family_members ADD CONSTRAINT family_members_family_id_fkey FOREIGN KEY (family_id) REFERENCES order_route_sharing.families(family_id) ON DELETE CASCADE;

-- user_state

SELECT create_distributed_table('user_state.personal_states', 'yandex_uid', colocate_with => 'none');

-- protocol

SELECT create_distributed_table('protocol.users', 'yandex_uid', colocate_with => 'none');

-- user_data

ALTER TABLE user_data.subjects DROP CONSTRAINT subjects_job_id_fkey;
ALTER TABLE user_data.job_services DROP CONSTRAINT job_services_job_id_fkey;
ALTER TABLE user_data.job_counts DROP CONSTRAINT job_counts_job_id_fkey;
ALTER TABLE user_data.subjects DROP CONSTRAINT subjects_user_key;
ALTER TABLE user_data.subjects ADD CONSTRAINT subjects_user_key UNIQUE (yandex_uid, kind, job_id);
SELECT create_distributed_table('user_data.jobs', 'job_id', colocate_with => 'none');
SELECT create_distributed_table('user_data.subjects', 'job_id', colocate_with => 'user_data.jobs');
SELECT create_distributed_table('user_data.job_services', 'job_id', colocate_with => 'user_data.jobs');
SELECT create_distributed_table('user_data.job_counts', 'job_id', colocate_with => 'user_data.jobs');
ALTER TABLE user_data.subjects ADD CONSTRAINT subjects_job_id_fkey FOREIGN KEY (job_id) REFERENCES user_data.jobs(job_id) ON DELETE CASCADE;
ALTER TABLE user_data.job_services ADD CONSTRAINT job_services_job_id_fkey FOREIGN KEY (job_id) REFERENCES user_data.jobs(job_id) ON DELETE CASCADE;
ALTER TABLE user_data.job_counts ADD CONSTRAINT job_counts_job_id_fkey FOREIGN KEY (job_id) REFERENCES user_data.jobs(job_id) ON DELETE CASCADE;
