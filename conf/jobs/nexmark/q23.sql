-- Nexmark 23. Bids with their bidders and the auctions that these have opened: three streams joined.
CREATE TABLE nexmark (event_type int4, person jsonb, auction jsonb, bid jsonb, ts timestamptz)
    WITH (connector = 'kafka', topic = 'nexmark', format = 'json', event_time = 'ts', lateness = '4 s');

CREATE VIEW person AS
    SELECT (person ->> 'id')::int8 AS id, person ->> 'name' AS name, person ->> 'emailAddress' AS email_address,
        person ->> 'creditCard' AS credit_card, person ->> 'city' AS city, person ->> 'state' AS state,
        ts AS date_time, person ->> 'extra' AS extra
    FROM nexmark WHERE event_type = 0;

CREATE VIEW auction AS
    SELECT (auction ->> 'id')::int8 AS id, auction ->> 'itemName' AS item_name, auction ->> 'description' AS description,
        (auction ->> 'initialBid')::int8 AS initial_bid, (auction ->> 'reserve')::int8 AS reserve, ts AS date_time,
        (auction ->> 'expires')::timestamptz AS expires, (auction ->> 'seller')::int8 AS seller,
        (auction ->> 'category')::int8 AS category, auction ->> 'extra' AS extra
    FROM nexmark WHERE event_type = 1;

CREATE VIEW bid AS
    SELECT (bid ->> 'auction')::int8 AS auction, (bid ->> 'bidder')::int8 AS bidder, (bid ->> 'price')::int8 AS price,
        bid ->> 'channel' AS channel, bid ->> 'url' AS url, ts AS date_time, bid ->> 'extra' AS extra
    FROM nexmark WHERE event_type = 2;

CREATE MATERIALIZED VIEW q23 AS
    SELECT b.bidder, b.price, b.channel, b.url, b.extra AS bid_extra,
        p.id AS person_id, p.name, p.email_address, p.credit_card, p.city, p.state, p.extra AS person_extra,
        a.item_name, a.description, a.initial_bid, a.reserve, a.date_time AS auction_date_time, a.expires, a.seller, a.category,
        a.extra AS auction_extra
    FROM bid AS b JOIN person AS p ON p.id = b.bidder JOIN auction AS a ON a.seller = b.bidder;
