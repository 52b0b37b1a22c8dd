-- Nexmark 7. The highest bids of each window of 10 seconds: bids joined with the window's highest price.
CREATE TABLE nexmark (event_type int4, person jsonb, auction jsonb, bid jsonb, ts timestamptz)
    WITH (connector = 'kafka', topic = 'nexmark', format = 'json', event_time = 'ts', lateness = '4 s');

CREATE VIEW bid AS
    SELECT (bid ->> 'auction')::int8 AS auction, (bid ->> 'bidder')::int8 AS bidder, (bid ->> 'price')::int8 AS price,
        bid ->> 'channel' AS channel, bid ->> 'url' AS url, ts AS date_time, bid ->> 'extra' AS extra
    FROM nexmark WHERE event_type = 2;

CREATE MATERIALIZED VIEW q7 AS
    SELECT b.auction, b.price, b.bidder, b.date_time, b.extra
    FROM bid AS b
    JOIN (
        SELECT max(price) AS most, window_end AS date_time
        FROM tumble(bid, date_time, INTERVAL '10 s')
        GROUP BY window_start, window_end
    ) AS highest
    ON b.price = highest.most
    WHERE b.date_time BETWEEN highest.date_time - INTERVAL '10 s' AND highest.date_time;
