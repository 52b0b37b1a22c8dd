// Nexmark's queries in PostgreSQL's own words: windows are series and bins, ranks are DISTINCT ON, sessions are gaps between rows.
//
// Nothing here is taken from the shipped files, so that a mistake in one of them is not made twice.

enum NexmarkJudge {
    struct Query: Sendable, CustomStringConvertible {
        let name: String
        /// Those of the answer, where the view has further ones for its key.
        var columns = "*"
        let words: String
        var description: String { name }
    }

    /// Made of `events (part, place, event)`, once, so that no query reads JSON again.
    static let tables = """
        CREATE TABLE person AS
            SELECT part, place, (p ->> 'id')::int8 AS id, p ->> 'name' AS name, p ->> 'emailAddress' AS email_address, p ->> 'creditCard' AS credit_card,
                p ->> 'city' AS city, p ->> 'state' AS state, (p ->> 'dateTime')::timestamptz AS date_time, p ->> 'extra' AS extra
            FROM (SELECT part, place, event -> 'person' AS p FROM events) AS events WHERE p <> 'null';
        CREATE TABLE auction AS
            SELECT part, place, (a ->> 'id')::int8 AS id, a ->> 'itemName' AS item_name, a ->> 'description' AS description,
                (a ->> 'initialBid')::int8 AS initial_bid, (a ->> 'reserve')::int8 AS reserve, (a ->> 'dateTime')::timestamptz AS date_time,
                (a ->> 'expires')::timestamptz AS expires, (a ->> 'seller')::int8 AS seller, (a ->> 'category')::int8 AS category, a ->> 'extra' AS extra
            FROM (SELECT part, place, event -> 'auction' AS a FROM events) AS events WHERE a <> 'null';
        CREATE TABLE bid AS
            SELECT part, place, (b ->> 'auction')::int8 AS auction, (b ->> 'bidder')::int8 AS bidder, (b ->> 'price')::int8 AS price,
                b ->> 'channel' AS channel, b ->> 'url' AS url, (b ->> 'dateTime')::timestamptz AS date_time, b ->> 'extra' AS extra
            FROM (SELECT part, place, event -> 'bid' AS b FROM events) AS events WHERE b <> 'null';
        CREATE INDEX ON bid (auction);
        ANALYZE;
        """

    private static let bidsByRank = """
        count(*), count(*) FILTER (WHERE price < 10000), count(*) FILTER (WHERE price BETWEEN 10000 AND 999999), count(*) FILTER (WHERE price >= 1000000)
        """

    private static func distinctByRank(_ column: String) -> String {
        """
        count(DISTINCT \(column)), count(DISTINCT CASE WHEN price < 10000 THEN \(column) END),
        count(DISTINCT CASE WHEN price BETWEEN 10000 AND 999999 THEN \(column) END), count(DISTINCT CASE WHEN price >= 1000000 THEN \(column) END)
        """
    }

    static let queries = [
        Query(name: "q0", words: "SELECT auction, bidder, price, date_time, extra FROM bid"),
        Query(name: "q1", words: "SELECT auction, bidder, price * 0.908, date_time, extra FROM bid"),
        Query(name: "q2", words: "SELECT auction, price FROM bid WHERE auction % 123 = 0"),
        Query(
            name: "q3",
            words: """
                SELECT name, city, state, auction.id FROM person, auction WHERE seller = person.id AND category = 10 AND state = ANY ('{OR,ID,CA}')
                """),
        Query(
            name: "q4",
            words: """
                SELECT category, avg(highest) FROM (
                    SELECT category, (SELECT max(price) FROM bid WHERE auction = id AND bid.date_time >= auction.date_time AND bid.date_time <= expires) AS highest
                    FROM auction
                ) AS won WHERE highest IS NOT NULL GROUP BY category
                """),
        Query(
            name: "q5", columns: "auction, num, window_start",
            words: """
                WITH counted AS (
                    SELECT auction, start, count(*) AS num
                    FROM bid, generate_series(date_bin('2 s', date_time, 'epoch') - interval '8 s', date_bin('2 s', date_time, 'epoch'), '2 s') AS start
                    GROUP BY auction, start
                ) SELECT auction, num, start FROM counted WHERE (start, num) IN (SELECT start, max(num) FROM counted GROUP BY start)
                """),
        Query(
            name: "q7", columns: "auction, price, bidder, date_time, extra",
            words: """
                WITH highest AS (SELECT date_bin('10 s', date_time, 'epoch') AS start, max(price) AS most FROM bid GROUP BY 1)
                SELECT auction, price, bidder, date_time, extra FROM bid, highest WHERE price = most AND date_time >= start AND date_time <= start + interval '10 s'
                """),
        Query(
            name: "q8", columns: "id, name, start_time",
            words: """
                SELECT DISTINCT person.id, name, date_bin('10 s', person.date_time, 'epoch') FROM person, auction
                WHERE seller = person.id AND date_bin('10 s', person.date_time, 'epoch') = date_bin('10 s', auction.date_time, 'epoch')
                """),
        Query(
            name: "q9", columns: "id, item_name, description, initial_bid, reserve, date_time, expires, seller, category, extra, auction, bidder, price, bid_date_time, bid_extra",
            words: """
                SELECT DISTINCT ON (id) id, item_name, description, initial_bid, reserve, auction.date_time, expires, seller, category, auction.extra,
                    auction, bidder, price, bid.date_time, bid.extra
                FROM auction JOIN bid ON auction = id AND bid.date_time >= auction.date_time AND bid.date_time <= expires
                ORDER BY id, price DESC, bid.date_time, bid.part, bid.place
                """),
        Query(
            name: "q11",
            words: """
                SELECT bidder, count(*), min(date_time), max(date_time) + interval '10 s' FROM (
                    SELECT bidder, date_time, sum(begins::int) OVER (PARTITION BY bidder ORDER BY date_time, part, place) AS session FROM (
                        SELECT *, coalesce(date_time - lag(date_time) OVER (PARTITION BY bidder ORDER BY date_time, part, place) >= interval '10 s', true) AS begins
                        FROM bid
                    ) AS marked
                ) AS numbered GROUP BY bidder, session
                """),
        Query(name: "q13", words: "SELECT auction, bidder, price, date_time, 'value ' || auction % 10000 FROM bid"),
        Query(
            name: "q14",
            words: """
                SELECT auction, bidder, price * 0.908,
                    CASE WHEN hour BETWEEN 8 AND 18 THEN 'dayTime' WHEN hour NOT IN (7, 19) THEN 'nightTime' ELSE 'otherTime' END,
                    date_time, extra, regexp_count(extra, 'c')
                FROM (SELECT *, to_char(date_time AT TIME ZONE 'UTC', 'HH24')::int AS hour FROM bid) AS bid
                WHERE price * 0.908 > 1000000 AND price * 0.908 < 50000000
                """),
        Query(
            name: "q15",
            words: """
                SELECT (date_time AT TIME ZONE 'UTC')::date, \(bidsByRank), \(distinctByRank("bidder")), \(distinctByRank("auction")) FROM bid GROUP BY 1
                """),
        Query(
            name: "q16",
            words: """
                SELECT channel, (date_time AT TIME ZONE 'UTC')::date, max(to_char(date_time AT TIME ZONE 'UTC', 'HH24:MI')),
                    \(bidsByRank),
                    \(distinctByRank("bidder")), \(distinctByRank("auction"))
                FROM bid GROUP BY 1, 2
                """),
        Query(
            name: "q17",
            words: """
                SELECT auction, (date_time AT TIME ZONE 'UTC')::date, \(bidsByRank), min(price), max(price), avg(price), sum(price) FROM bid GROUP BY 1, 2
                """),
        Query(
            name: "q18", columns: "auction, bidder, price, channel, url, date_time, extra",
            words: """
                SELECT DISTINCT ON (bidder, auction) auction, bidder, price, channel, url, date_time, extra FROM bid ORDER BY bidder, auction, date_time DESC, part, place
                """),
        Query(
            name: "q19", columns: "auction, bidder, price, channel, url, date_time, extra, place",
            words: """
                SELECT * FROM (
                    SELECT auction, bidder, price, channel, url, date_time, extra, row_number() OVER (PARTITION BY auction ORDER BY price DESC, part, place) AS n FROM bid
                ) AS ranked WHERE n < 11
                """),
        Query(
            name: "q20",
            words: """
                SELECT auction, bidder, price, channel, url, bid.date_time, bid.extra,
                    item_name, description, initial_bid, reserve, auction.date_time, expires, seller, category, auction.extra
                FROM bid, auction WHERE auction = id AND category = 10
                """),
        Query(
            name: "q21",
            words: """
                SELECT * FROM (
                    SELECT auction, bidder, price, channel,
                        coalesce(('{"apple":"0","google":"1","facebook":"2","baidu":"3"}'::jsonb) ->> lower(channel), substring(url FROM '&channel_id=([^&]*)')) AS channel_id
                    FROM bid
                ) AS found WHERE channel_id IS NOT NULL
                """),
        Query(
            name: "q22",
            words: """
                SELECT auction, bidder, price, channel, (string_to_array(url, '/'))[4], (string_to_array(url, '/'))[5], (string_to_array(url, '/'))[6] FROM bid
                """),
        Query(
            name: "q23",
            words: """
                SELECT bidder, price, channel, url, bid.extra, person.id, name, email_address, credit_card, city, state, person.extra,
                    item_name, description, initial_bid, reserve, auction.date_time, expires, seller, category, auction.extra
                FROM person, bid, auction WHERE bidder = person.id AND seller = person.id
                """),
    ]
}
