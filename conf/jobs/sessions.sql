-- The visits of each user: one ends when half a minute has brought nothing, and is written then, once.
CREATE TABLE ad_events (
    user_id text, page_id text, ad_id text, ad_type text, event_type text, event_time timestamptz, ip_address text
) WITH (connector = 'kafka', topic = 'ad-events', format = 'avro', schema = 'conf/jobs/ad_event.avsc', event_time = 'event_time', lateness = '10 s');

CREATE MATERIALIZED VIEW sessions WITH (emit = 'final') AS
    SELECT user_id, window_start, window_end, count(*) AS events, count(*) FILTER (WHERE event_type = 'purchase') AS purchases
    FROM session(ad_events, event_time, INTERVAL '30 s', user_id)
    GROUP BY user_id, window_start, window_end;
