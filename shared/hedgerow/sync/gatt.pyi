SERVICE: str
RX: str
TX: str
