from hedgerow_device.app import main

main()
