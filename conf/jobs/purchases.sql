-- Appends every purchase exactly once.
CREATE TABLE ad_events (
    user_id text, page_id text, ad_id text, ad_type text, event_type text, event_time timestamptz, ip_address text
) WITH (connector = 'kafka', topic = 'ad-events', format = 'avro', schema = 'conf/jobs/ad_event.avsc', event_time = 'event_time', lateness = '10 s');

CREATE TABLE purchases (
    topic text, partition int4, "offset" int8, user_id text, ad_id text, event_time timestamptz,
    PRIMARY KEY (topic, partition, "offset")
) WITH (connector = 'sqlite', url = 'sqlite:sink.db', table = 'purchases');

INSERT INTO purchases
    SELECT source_topic, source_partition, source_offset, user_id, ad_id, event_time
    FROM ad_events WHERE event_type = 'purchase';
