"""Whether a full log takes others' documents along: those that are wanted here. Loaded for that."""


def wants_any(peer: object, author: bytes, number: int, changes: list) -> bool:
    """Say whether an own subscription matches one of the documents that an operation changes."""
    documents = peer.down.documents
    for collection, document_id in documents.named(author, number, changes):
        for interest in peer.down.subscriptions.own:
            if interest.collection != collection:
                continue
            if not interest.where:
                return True
            from hedgerow.query.condition import Condition

            # Of a deleted one nobody can say what it was.
            document = documents.view(collection, document_id)
            if document is None or Condition(interest.where, interest.parameters).holds(document):
                return True
    return False
