-- Reports views, clicks and the click rate of each campaign per minute.
CREATE TABLE ad_events (
    user_id text, page_id text, ad_id text, ad_type text, event_type text, event_time timestamptz, ip_address text
) WITH (connector = 'kafka', topic = 'ad-events', format = 'avro', schema = 'conf/jobs/ad_event.avsc', event_time = 'event_time', lateness = '10 s');

CREATE TABLE ads (ad_id text PRIMARY KEY, campaign_id text NOT NULL)
    WITH (connector = 'sqlite', url = 'sqlite:ads.db', table = 'ads', mode = 'lookup');

CREATE MATERIALIZED VIEW campaign_report AS
    SELECT campaign_id, minute, views, clicks, clicks::float8 / NULLIF(views, 0) AS click_rate
    FROM (
        SELECT campaign_id, window_start AS minute,
            count(*) FILTER (WHERE event_type = 'view') AS views, count(*) FILTER (WHERE event_type = 'click') AS clicks
        FROM tumble(ad_events, event_time, INTERVAL '1 min') JOIN ads USING (ad_id)
        WHERE event_type IN ('view', 'click')
        GROUP BY campaign_id, window_start
    ) AS counts;
