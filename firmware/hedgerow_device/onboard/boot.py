import gc

# Early collections keep what stays together at the low end of the heap.
gc.threshold(8192)

# The radio before all else: it needs large blocks of the memory that the heap grows into.
try:
    import bluetooth

    bluetooth.BLE().active(True)
except (ImportError, OSError) as error:
    print("error BLE_UNAVAILABLE", error)
