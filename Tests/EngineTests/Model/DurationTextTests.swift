import Engine
import Testing

@Suite struct DurationTextTests {
    @Test(
        arguments: [
            (0, "0 ms"), (999, "999 ms"), (1000, "1.0 s"), (59_999, "59.9 s"), (60_000, "1 min"), (61_500, "1 min 1 s"), (3_600_000, "1 h"),
            (7_380_000, "2 h 3 min"), (86_399_999, "23 h 59 min"), (172_799_123, "1 d 23 h"), (-7_200_500, "-2 h"), (Int64.min, "-106751991167 d 7 h"),
        ] as [(Int64, String)]) func `a measured length of time is told in its two largest units`(millis: Int64, text: String)
    {
        #expect(roughDuration(millis) == text)
    }
}
