"""What was, since when it is known, and where it came from: questions to all stores together.

Time here is the time of knowing: a state is as the hub had published it at an instant. Where in
the office's own order a version stands is told beside it (``officeOrder``). Nothing is written.
"""
