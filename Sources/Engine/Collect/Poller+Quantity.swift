import Model

/// Telling devices that give few registers at once from devices with a border that no request may cross: both refuse a block
/// and give its halves.
extension Poller {
    /// Sends the one small request that tells, where there is a doubt. It costs no value of the poll, whatever becomes of it.
    func tellLimitFromBorder(_ slot: PollSchedule.Slot) async {
        let index = slot.device
        guard let crossing = devices[index].takeCrossing() else { return }
        let result = await take(.poll, index) {
            await self.timedRead(
                crossing.span, unit: self.devices[index].device.unit, timeout: self.timeout(of: slot))
        }
        switch result {
        case .success: devices[index].crossed(crossing, isAnswered: true)
        case .failure(.refused(2)), .failure(.refused(3)): devices[index].crossed(crossing, isAnswered: false)
        case .failure: return
        }
        tellLearned(of: index)
    }
}
