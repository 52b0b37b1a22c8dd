// What may go wrong in a made world, and how each fault strikes. `World.heal` undoes what lasts.

import Driver
import Engine

enum Fault: CaseIterable {
    case driverCrash, driverPause, workerCrash, workerPause, workerTrouble, kafkaOutage, catalogOutage, sinkOutage, cutOff, clockJump
    case buildChange, keyGroupsChange, partitionAdded, sinkRestored, powerCut, refusalChange
    case topicRecreated, topicTruncated, markerForgotten, wish

    /// The job may have to stop, and with it the world.
    var isFinal: Bool {
        switch self {
        case .topicRecreated, .topicTruncated, .markerForgotten: true
        default: false
        }
    }

    /// Of the seeds.
    var share: Double {
        switch self {
        case .topicRecreated, .topicTruncated: 0.08
        case .sinkRestored, .markerForgotten: 0.12
        default: 0.4
        }
    }

    func strike(_ world: World) {
        guard !world.isHealed else { return }
        world.trace.say(world.nowMillis, "fault \(self)")
        let lasts = 50 + (world.random.chance(0.3) ? world.random.below(9000) : world.random.below(1500))
        func one<Thing>(_ things: [Thing]) -> Thing { things[Int(world.random.below(Int64(things.count)))] }
        switch self {
        case .driverCrash: one(world.drivers).crash(forMillis: lasts, build: nil)
        case .buildChange: one(world.drivers).crash(forMillis: lasts, build: world.random.chance(0.5) ? "b2" : "b1")
        case .keyGroupsChange:
            // Where keys have their place in a topic it is refused, and nothing else happens.
            if world.topic != nil && world.scenario.isStateful { return }
            // A start with other settings; the driver that runs the job does not hear of it.
            world.catalog.record.settings["key_groups"] = "\([7, 64, 128, 256][Int(world.random.below(4))])"
            one(world.drivers).crash(forMillis: lasts, build: nil)
        case .driverPause: one(world.drivers).pause(forMillis: lasts + world.random.below(7000))
        case .workerCrash: one(world.workers).crash(forMillis: lasts)
        case .workerTrouble: one(world.workers).trouble(forMillis: lasts)
        case .workerPause: one(world.workers).pause(forMillis: lasts)
        case .kafkaOutage: world.kafka.fall(world, lasts)
        case .catalogOutage: world.catalog.fall(world, lasts)
        case .sinkOutage:
            world.sink.fall(world, lasts)
            world.topic?.fall(world, lasts)
        case .cutOff:
            let place = one(world.drivers.map(\.place) + world.workers.map(\.place))
            world.network.cut(place, in: world, forMillis: lasts)
        case .clockJump: one(world.drivers).skewMillis = world.random.below(20_000) - 10_000
        case .partitionAdded:
            if world.kafka.isMissing { return }
            world.kafka.addPartition()
            // Whoever adds one does not always think of the output.
            if world.random.chance(0.5) { world.topic?.partitions += 1 }
        case .sinkRestored:
            if world.topic != nil { return }
            // Nobody puts a copy in place under a running server.
            world.sink.restoreOlder(&world.random)
            world.sink.fall(world, lasts)
        case .powerCut:
            // Of the host where the state lies, and with it the workers, and a driver perhaps.
            world.disk.cutPower(&world.random)
            for worker in world.workers { worker.crash(forMillis: lasts) }
            for driver in world.drivers where world.random.chance(0.5) { driver.crash(forMillis: lasts, build: nil) }
        case .refusalChange: world.sink.refuses = world.random.chance(0.3) ? nil : Int(world.random.below(5))
        case .topicRecreated: world.kafka.recreate(world, goneForMillis: world.random.chance(0.5) ? 0 : lasts)
        case .topicTruncated: if !world.kafka.isMissing { world.kafka.truncate(world) }
        case .markerForgotten: world.topic?.forget(&world.random)
        case .wish:
            // A person stops the job, and lets it go on later.
            world.catalog.desired = one([.pause, .stop, .kill])
            world.after(lasts) { world.catalog.desired = .run }
        }
    }
}
