import Files
import Testing

@testable import Gateway

struct DiskRoomTests {
    private func room(_ free: UInt64, of total: UInt64) -> DiskRoom {
        DiskRoom(free: free << 20, total: total << 20)
    }

    @Test(arguments: [(64 as UInt64, 16 as UInt64), (1000, 64), (8000, 400), (1_000_000, 1024)])
    func theLeastRoomFollowsTheSizeOfTheDisk(total: UInt64, least: UInt64) {
        #expect(room(0, of: total).least == least << 20)
    }

    @Test func aDiskThatFillsIsNewsOnceAndThatThereIsRoomAgainToo() {
        var watch = DiskRoomWatch()
        let course: [UInt64] = [900, 65, 63, 40, 66, 10, 79, 80, 81, 63]
        let news = course.map { watch.take(room($0, of: 1000)) }
        #expect(news == [nil, nil, .low, nil, nil, nil, nil, .enough, nil, .low])
    }

    @Test func theDiskIsAskedOnceAMinute() {
        var watch = DiskRoomWatch()
        let asked = (0..<180).filter { watch.isDue(at: .seconds($0)) }
        #expect(asked == [0, 60, 120])
    }

    @Test func theSystemSaysHowMuchRoomThereIs() throws {
        let room = try #require(DiskRoom(of: "/"))
        #expect(room.total > 0 && room.free <= room.total)
        #expect(DiskRoom(of: "/no/such/folder") == nil)
    }
}
