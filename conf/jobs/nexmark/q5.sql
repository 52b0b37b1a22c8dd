-- Nexmark 5. The auctions with the most bids of each window of 10 seconds that slides by 2; the window is told, too.
CREATE TABLE nexmark (event_type int4, person jsonb, auction jsonb, bid jsonb, ts timestamptz)
    WITH (connector = 'kafka', topic = 'nexmark', format = 'json', event_time = 'ts', lateness = '4 s');

CREATE VIEW bid AS
    SELECT (bid ->> 'auction')::int8 AS auction, (bid ->> 'bidder')::int8 AS bidder, (bid ->> 'price')::int8 AS price,
        bid ->> 'channel' AS channel, bid ->> 'url' AS url, ts AS date_time, bid ->> 'extra' AS extra
    FROM nexmark WHERE event_type = 2;

CREATE MATERIALIZED VIEW q5 AS
    SELECT counted.auction, counted.num, counted.window_start
    FROM (
        SELECT auction, count(*) AS num, window_start, window_end
        FROM hop(bid, date_time, INTERVAL '2 s', INTERVAL '10 s')
        GROUP BY auction, window_start, window_end
    ) AS counted
    JOIN (
        SELECT max(num) AS most, window_start, window_end
        FROM (
            SELECT count(*) AS num, window_start, window_end
            FROM hop(bid, date_time, INTERVAL '2 s', INTERVAL '10 s')
            GROUP BY auction, window_start, window_end
        ) AS sizes
        GROUP BY window_start, window_end
    ) AS largest
    ON counted.window_start = largest.window_start AND counted.window_end = largest.window_end AND counted.num >= largest.most;
