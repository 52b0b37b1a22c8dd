// The executable `sluice`, with the jobs that ship.

import Jobs
import Sluice

SluiceProgram.main(jobs: ShippedJobs.all)
