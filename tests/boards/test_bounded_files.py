"""What MicroPython's file systems make of a device that is larger or smaller than they were made for."""

from hedgerow_boards.board import Board

PROGRAM = """
import os, vfs
from esp32 import Partition
part = Partition.find(Partition.TYPE_DATA, label="hedgerow")[0]
class Device:
    def __init__(self, count):
        self.count = count
        self.last = 0
    def readblocks(self, block, buf, offset=0):
        part.readblocks(block, buf, offset)
    def writeblocks(self, block, buf, offset=None):
        self.last = max(self.last, block)
        if offset is None:
            part.writeblocks(block, buf)
        else:
            part.writeblocks(block, buf, offset)
    def ioctl(self, command, argument):
        if command == 4:
            return self.count
        return part.ioctl(command, argument)
def mounts(count):
    try:
        vfs.mount(Device(count), "/m")
        vfs.umount("/m")
        return True
    except OSError:
        return False
"""


def run(board: Board, program: str) -> list[str]:
    return board.mpremote("exec", PROGRAM + program).stdout.split()


def test_littlefs_takes_no_device_of_another_size(board: Board) -> None:
    program = "vfs.VfsLfs2.mkfs(Device(128))\nprint(mounts(128), mounts(384), mounts(100))"
    assert run(board, program) == ["True", "False", "False"]


def test_fat_takes_a_larger_device_and_stays_within_what_it_was_made_for(board: Board) -> None:
    program = "vfs.VfsFat.mkfs(Device(128))\nprint(mounts(384))\n"
    program += "whole = Device(384)\nvfs.mount(whole, '/m')\nfull = False\n"
    program += "try:\n    with open('/m/a_name_that_is_long.mpy', 'wb') as file:\n"
    program += "        while True:\n            file.write(bytes(4096))\n"
    program += "except OSError as error:\n    full = error.errno == 28\n"
    program += "print(full, whole.last, os.listdir('/m')[0])"
    assert run(board, program) == ["True", "True", "127", "a_name_that_is_long.mpy"]
