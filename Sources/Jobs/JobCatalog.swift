// The jobs that ship with the engine. A new job is a file beside this one and a line below.

import Engine

public enum ShippedJobs {
    public static let all: [any StreamingJob] = [CampaignViews(), CampaignReport(), Purchases()]
}
