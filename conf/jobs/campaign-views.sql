-- Counts the views of each campaign in windows of 10 seconds.
CREATE TABLE ad_events (
    user_id text, page_id text, ad_id text, ad_type text, event_type text, event_time timestamptz, ip_address text
) WITH (connector = 'kafka', topic = 'ad-events', format = 'avro', schema = 'conf/jobs/ad_event.avsc', event_time = 'event_time', lateness = '10 s');

CREATE TABLE ads (ad_id text PRIMARY KEY, campaign_id text NOT NULL)
    WITH (connector = 'sqlite', url = 'sqlite:ads.db', table = 'ads', mode = 'lookup');

CREATE MATERIALIZED VIEW campaign_views AS
    SELECT campaign_id, window_start, count(*) AS views
    FROM tumble(ad_events, event_time, INTERVAL '10 s') JOIN ads USING (ad_id)
    WHERE event_type = 'view'
    GROUP BY campaign_id, window_start;
